import { type Criterion, notSaid, verdictOf } from './criterion.ts';

const daySeconds = 86_400;

/** How long ago the certificate was issued. Without one nothing has an age. */
export const certificateAge: Criterion<'certificate_age'> = {
  check: ({ at_least_days, at_most_days }, { certificateAgeSeconds: age, deviceTrust }) => {
    if (!deviceTrust.trusted || age === 'none') return 'not_met';
    if (age === undefined) return 'unknown';
    return verdictOf(
      (at_least_days === undefined || age >= at_least_days * daySeconds) &&
        (at_most_days === undefined || age <= at_most_days * daySeconds),
    );
  },
  seen: ({ certificateAgeSeconds: age, deviceTrust }) => {
    // Nothing of a device counts that is not trusted.
    if (!deviceTrust.trusted) return 'none';
    if (age === undefined) return notSaid;
    return age === 'none' ? 'no certificate' : `${(age / daySeconds).toFixed(1)} days`;
  },
  wanted: ({ at_least_days, at_most_days }) =>
    [
      ...(at_least_days === undefined ? [] : [`at least ${at_least_days} days`]),
      ...(at_most_days === undefined ? [] : [`at most ${at_most_days} days`]),
    ].join(', '),
};
