/** The token that the configuration names. */
export type TokenSettings = {
  /** Absolute path of the PKCS#11 module. */
  readonly module: string;
  readonly tokenLabel: string;
  /** Absolute path; left out for a token that asks for no PIN. */
  readonly pinFile?: string;
};
