import { type MarksAnswer, marksAnswer, type OrganizationMark } from '@countersign/protocol/state';
import { EdgeServerError } from '../edge-server-error.ts';
import { askBroker, type BrokerAccess } from './ask-broker.ts';

export type StateMarks = {
  readonly organizationId: string;
  readonly organization: OrganizationMark;
  /** By shard. */
  readonly shards: ReadonlyArray<Pick<MarksAnswer['shards'][number], 'device' | 'key'>>;
};

/** An object of another version would refuse whatever it is asked: nothing is served then. */
function assertSameVersion({ organization, shards }: MarksAnswer): void {
  const found = [organization, ...shards.flatMap(({ device, key }) => [device, key])].find(
    (mark) => 'unreadable' in mark && mark.other_version,
  );
  if (found === undefined || !('unreadable' in found)) return;
  throw new EdgeServerError(
    'deployment_mismatch',
    `The databases are of another version of Countersign (${found.unreadable}). Start the version that wrote them, or a newer one; to go back to an older version, put back the backup that was made before the newer one ran.`,
  );
}

/** Reads the marks of every object, each of which is on disk before it is told. */
export async function readMarks(access: BrokerAccess): Promise<StateMarks> {
  const shards: MarksAnswer['shards'] = [];
  for (;;) {
    const path = `/v1/admin/state/marks?from=${shards.length}`;
    const answer = await askBroker(access, marksAnswer, path);
    assertSameVersion(answer);
    shards.push(...answer.shards);
    if (shards.length < answer.shard_count && answer.shards.length > 0) continue;
    const { organization } = answer;
    if ('unreadable' in organization) {
      throw new EdgeServerError(
        'broker_request_failed',
        `The organization's database cannot be read (${organization.unreadable}).`,
      );
    }
    return {
      organizationId: answer.organization_id,
      organization,
      shards: shards.map(({ device, key }) => ({ device, key })),
    };
  }
}
