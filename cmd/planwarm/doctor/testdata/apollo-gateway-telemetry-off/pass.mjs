import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
new NodeTracerProvider({ spanProcessors }).register();
const { ApolloGateway } = await import('@apollo/gateway');
