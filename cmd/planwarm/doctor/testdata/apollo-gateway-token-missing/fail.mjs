import { ApolloGateway } from '@apollo/gateway';
import { ApolloServer } from '@apollo/server';
import { planwarm } from '@planwarm/apollo-gateway';

const hook = planwarm({});
const gateway = new ApolloGateway({  });
export const server = new ApolloServer({ gateway });
