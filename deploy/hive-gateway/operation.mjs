// What can be said of an operation from its text and the schema alone.
import { getNamedType, isLeafType, isRequiredArgument, Kind } from 'graphql';

// onlyTypename is true for an operation that needs no plan: the question that a
// gateway without this plugin answers without calling a subgraph.
export function onlyTypename(operation) {
  return operation.selectionSet.selections.every((s) => s.kind === Kind.FIELD && s.name.value === '__typename');
}

const canaries = new WeakMap();

// canaryOf returns a query with a real field that needs a plan: the first field
// of Query that takes no required argument. undefined when there is none.
export function canaryOf(schema) {
  if (!canaries.has(schema)) canaries.set(schema, findCanary(schema));
  return canaries.get(schema);
}

function findCanary(schema) {
  const fields = Object.values(schema.getQueryType()?.getFields() ?? {});
  const field = fields.find((f) => !f.name.startsWith('_') && !f.args.some(isRequiredArgument));
  if (!field) return undefined;
  return `query PlanwarmCanary{${field.name}${isLeafType(getNamedType(field.type)) ? '' : '{__typename}'}}`;
}
