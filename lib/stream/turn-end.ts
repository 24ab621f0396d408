// The end of a turn of the event loop, when replies leave: those of all sessions one after the other. What came in one
// chunk is answered in one write [RFC 2920 §3.2], and so is what a few promises later is answered in the same turn.
// A peer that one write has woken is still awake for the next, which makes writes in a row much cheaper than writes with
// work in between.

/** Who waits for the end of a turn; an object, so that no session needs a closure for it. */
export interface TurnEndListener {
  turnEnds(): void
}

let waiting: TurnEndListener[] = []

/** Calls `turnEnds` once, at the end of this turn. */
export function callAtTurnEnd(listener: TurnEndListener): void {
  if (waiting.length === 0) setImmediate(callAll)
  waiting.push(listener)
}

function callAll(): void {
  const now = waiting
  waiting = []
  for (const listener of now) listener.turnEnds()
}
