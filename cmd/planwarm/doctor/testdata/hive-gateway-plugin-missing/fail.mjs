import { defineConfig } from '@graphql-hive/gateway';

export const gatewayConfig = defineConfig({
  // plugins: () => [planwarm({ token })] from '@planwarm/hive-gateway'
  supergraph: './supergraph.graphql',
});
