// The octets that SMTP cuts by.

export const CR = 13
export const LF = 10
export const DOT = 46
export const CRLF = '\r\n'
