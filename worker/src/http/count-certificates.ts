import { askShards } from './ask-shards.ts';
import type { Broker } from './broker.ts';

/** Certificates of all shards that are alike, counted. */
export const countCertificates = (broker: Broker) =>
  askShards(broker, (shard) => shard.countCertificates());
