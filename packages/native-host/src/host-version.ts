/** The version in package.json; a constant, because reading a file would cost every sign-in. */
export const hostVersion = '0.1.0';
