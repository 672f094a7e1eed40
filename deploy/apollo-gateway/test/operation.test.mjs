import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, getOperationAST, getVariableValues, parse } from 'graphql';
import { placeholders } from '../operation.mjs';

const schema = buildSchema(`
  directive @oneOf on INPUT_OBJECT
  enum Kind { OPEN CLOSED }
  input Range { from: Int!, to: Float! = 2, note: String }
  input Filter { kind: Kind!, ids: [ID!]!, range: Range!, more: Filter }
  input By @oneOf { other: By, not: Not, id: ID, name: String }
  input Not { by: By! }
  input Endless @oneOf { again: Endless }
  type Query { find(filter: Filter, by: By, endless: Endless, text: String): Int }
`);

// valued returns the placeholders of an operation, and what is wrong with them.
function valued(query, given) {
  const operation = getOperationAST(parse(query));
  const variables = placeholders(schema, operation, given);
  return { variables, errors: getVariableValues(schema, operation.variableDefinitions, variables).errors };
}

test('placeholders are as small as the schema allows', () => {
  const { variables, errors } = valued('query($filter: Filter!, $by: By!, $text: String, $most: Int! = 3) { find(filter: $filter, by: $by, text: $text) }');
  assert.equal(errors, undefined);
  assert.deepEqual(variables, { filter: { kind: 'OPEN', ids: [], range: { from: 0 } }, by: { id: '' } });
});

test('what was sent stays', () => {
  const { variables } = valued('query($by: By!, $text: String!) { find(by: $by, text: $text) }', { by: { name: 'x' } });
  assert.deepEqual(variables, { by: { name: 'x' }, text: '' });
});

test('a type without any value ends in the gateway\'s own complaint', () => {
  const { errors } = valued('query($endless: Endless!) { find(endless: $endless) }');
  assert.equal(errors.length, 1);
});
