import { defineConfig } from '@graphql-hive/gateway';
import { planwarm } from '@planwarm/hive-gateway';
export const gatewayConfig = defineConfig({
  plugins: () => [useResponseCache({ ttl: 10 }), planwarm({ token: () => process.env.PLANWARM_TOKEN })],
});
