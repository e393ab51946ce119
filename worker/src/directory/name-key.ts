/** A name as directories compare it: without regard to case (RFC 7643 section 4.1.1). */
export const nameKey = (name: string): string => name.toLowerCase();
