/** The commands on a data folder, apart from what they do: the server itself needs none of it. */
export const stateCommandNames = ['export', 'import', 'confirm-restore'] as const;
export type StateCommandName = (typeof stateCommandNames)[number];

export function isStateCommand(name: string | undefined): name is StateCommandName {
  return stateCommandNames.some((command) => command === name);
}

export const stateUsage = `  countersign-server export --output FILE --passphrase-file FILE
      writes all that is stored into one file, also while the server runs; the keys in it are encrypted
  countersign-server import --input FILE --passphrase-file FILE [--shards NUMBER] [--confirm-restore]
      makes a new data folder from an export; an older one than was there before must be confirmed
  countersign-server confirm-restore [--yes]
      says what an older data folder lacks and, with --yes, takes it for the newest one
These three know only --data, --high-water-mark and --worker of the options above.
`;
