import { readFileSync } from 'node:fs';
import { defineConfig } from '@graphql-hive/gateway';
// supergraph: 'commented out'
export const gatewayConfig = defineConfig({
  supergraph: './supergraph.graphql',
});
