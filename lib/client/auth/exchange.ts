// What a SASL mechanism is for a client.

/** One exchange of one mechanism. */
export interface ClientExchange {
  /** The message to begin with; null if the server speaks first. */
  initial(): Promise<string> | string | null
  /** The answer to a challenge. Throws if the challenge is wrong: the exchange is then cancelled. */
  answer(challenge: string): Promise<string> | string
  /** True if a positive reply is to be believed: the server has said all that the mechanism asks for. */
  isComplete(): boolean
}
