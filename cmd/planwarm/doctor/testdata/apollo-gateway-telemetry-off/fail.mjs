import { ApolloServer } from '@apollo/server';
import { ApolloGateway } from '@apollo/gateway';
import { planwarm } from '@planwarm/apollo-gateway';
const hook = planwarm({ token: () => process.env.PLANWARM_TOKEN });
const gateway = new ApolloGateway({ experimental_didResolveQueryPlan: hook.didResolveQueryPlan });
const server = new ApolloServer({ gateway, plugins: [hook.plugin(gateway)] });
