import { defineConfig } from '@graphql-hive/gateway';
import { planwarm } from '@planwarm/hive-gateway';
export const gatewayConfig = defineConfig({
  plugins: () => [planwarm({ token: () => process.env.PLANWARM_TOKEN }), useResponseCache({ ttl: 10 })],
});
