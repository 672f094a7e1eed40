import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { planwarm } from '@planwarm/apollo-gateway';

const hook = planwarm({ token: () => process.env.PLANWARM_TOKEN });
const gateway = new ApolloGateway({ telemetry: { includeDocument: false } });
export const server = new ApolloServer({ gateway });
