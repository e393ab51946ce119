/**
 * Gives the unpacked extension the same id on every machine during development. Only this public half exists: nobody
 * can sign a package with it. A published package has the key of its store or of its company instead.
 */
export const developmentPublicKey =
  'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA1vYAMx0LpPt4uUZxdfHLdkq8SWQ0RJ9neVwTs+wwzcbIN+qVOlES0Fisv0ffl7ek4CElIeNlbCF5b75GogrN/6pwDgXZ2NUF26DfRv9vuBtMNvcAzF0omCRg+1tq9C8TbT2K+V8/8Mrc6flzBQQQ74gtDpkMCRC7VVoXjOM17LxM9s/tVzh/Doqtz34rfcG+LIRvWNgDNwzXFYBnUVKGpP8/cVfRYMmxivFbWJoLK1mGbhy3GONfZTlYWWyjsfL39LZrhwAhkRST5fWeFrToyOm3SL7Xf0ipLurjpiJTRmLf36s/cGlbYsZJIqU4wfZi53HnIESSR2Sr1DCjZUR7uQIDAQAB';

/** Firefox takes ids as they are given. A company that has its own build signed by Mozilla needs one of its own. */
export const developmentFirefoxId = 'extension@countersign.dev';
