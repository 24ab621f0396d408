// Values of this package are known to each of its copies: a module of the command may import another copy than the
// command is, since a global installation is not found from the folder of the module.

/** Marks the objects of a class as those of `kind`, whichever copy of the package made them. */
export function mark(prototype: object, kind: symbol): void {
  Object.defineProperty(prototype, kind, { value: true })
}

/** True for an object that was marked as one of `kind`. No text of a client can make one: a symbol is no text. */
export function isOfKind(value: unknown, kind: symbol): boolean {
  return typeof value === 'object' && value !== null && kind in value
}
