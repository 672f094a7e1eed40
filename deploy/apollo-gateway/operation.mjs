// What can be said of an operation from its text and the schema alone.
import {
  getNamedType, isEnumType, isInputObjectType, isLeafType, isListType, isNonNullType, isRequiredArgument, isRequiredInputField,
  Kind, typeFromAST,
} from 'graphql';

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

// placeholders completes variables so that the gateway, which looks at them
// before it plans, lets the operation pass. A plan does not depend on them, and
// they go nowhere: the operation is not executed.
export function placeholders(schema, operation, given = {}) {
  const variables = { ...given };
  for (const definition of operation.variableDefinitions ?? []) {
    const name = definition.variable.name.value;
    const type = typeFromAST(schema, definition.type);
    if (variables[name] == null && type && isNonNullType(type) && !definition.defaultValue) {
      variables[name] = valueOf(type.ofType);
    }
  }
  return variables;
}

const SCALARS = { Int: 0, Float: 0, String: '', ID: '', Boolean: false };

// valueOf is undefined for a type that every value of is inside another one of
// it: no request can have such a variable.
function valueOf(type, around = []) {
  if (isNonNullType(type)) return valueOf(type.ofType, around);
  if (isListType(type)) return [];
  if (isEnumType(type)) return type.getValues()[0].name;
  if (!isInputObjectType(type)) return SCALARS[type.name] ?? '';
  if (around.includes(type)) return undefined;
  const fields = Object.values(type.getFields());
  const valued = (list) => list.map((f) => [f.name, valueOf(f.type, [...around, type])]);
  if (type.isOneOf) { // exactly one field, whichever has a value
    const one = valued(fields).find(([, value]) => value !== undefined);
    return one && Object.fromEntries([one]);
  }
  const all = valued(fields.filter(isRequiredInputField));
  return all.every(([, value]) => value !== undefined) ? Object.fromEntries(all) : undefined;
}
