// Where mail goes, by the domain of its recipients, and what the names of recipients mean there.

/** The domain of each place. */
export const DOMAINS = { smtp: 'soak.example', lmtp: 'lmtp.example', boxes: 'boxes.example' }

/** The mailboxes of `boxes`. */
export const BOXES = Array.from({ length: 12 }, (_, i) => `box${i}`)

/** How often a sender chooses each. */
const PLACES = { smtp: 40, lmtp: 35, boxes: 25 }
const MOST = 5
/** `busy` is refused for now after the mail data, now and then; `gone` for good, always. */
const LMTP_NAMES = { user: 70, busy: 20, gone: 10 }
/** A recipient of another place: it is refused in this transaction, and comes in another one. */
const ELSEWHERE = 0.1

/** Up to five recipients; the first is one that is never refused for good. */
export function chooseRecipients(random) {
  const place = random.pick(PLACES)
  const chosen = new Set([recipientAt(place, random, 'user')])
  for (let more = random.whole(0, MOST - 1); more > 0; more--) {
    chosen.add(recipientAt(random.chance(ELSEWHERE) ? random.pick(PLACES) : place, random))
  }
  return [...chosen]
}

function recipientAt(place, random, name = random.pick(LMTP_NAMES)) {
  const local = {
    smtp: () => `user${random.whole(1, 5000)}`,
    lmtp: () => `${name}${random.whole(1, 5000)}`,
    boxes: () => BOXES[random.whole(0, BOXES.length - 1)],
  }
  return `${local[place]()}@${DOMAINS[place]}`
}

/** False for a recipient that is always refused for good after the mail data. */
export function isExpected(recipient) {
  return !recipient.startsWith('gone')
}
