/**
 * GetCACaps (RFC 8894 section 3.5.2). `SCEPStandard` says AES, SHA-256, POST and renewal; older clients look for each.
 * Neither `DES3` nor `SHA-1`: they are refused. No `GetNextCACert`: two issuers are simply both there.
 */
export const caCapabilities = ['AES', 'POSTPKIOperation', 'Renewal', 'SHA-256', 'SCEPStandard'];
