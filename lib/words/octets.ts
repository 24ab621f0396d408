// The octets that delimit lines and mail data.

export const CR = 13
export const LF = 10
export const DOT = 46
