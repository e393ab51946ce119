import { DurableObject } from 'cloudflare:workers';
import type { Environment } from '../config/environment.ts';
import { DurableStore } from '../storage/durable-store.ts';
import { integrationMigrations } from './integration-schema.ts';

/** One integration's dealings with its device management. */
export class IntegrationObject extends DurableObject<Environment> {
  readonly #store: DurableStore;

  constructor(state: DurableObjectState, environment: Environment) {
    super(state, environment);
    this.#store = new DurableStore(state.storage, integrationMigrations);
  }

  async name(): Promise<string> {
    const ready = this.#store.read(() => true);
    return `${ready} ${this.ctx.id.name ?? 'none'}`;
  }
}
