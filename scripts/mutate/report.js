// What is said of the results: `killer` of each mutant is a test, or null for a survivor.

/** How scripts/mutate/equivalent.json and the reports call a mutant. */
export function nameOf({ file, line, change }) {
  return `${file}: ${change} in: ${line}`
}

export function score(mutants) {
  const counted = mutants.filter(({ isEquivalent }) => !isEquivalent)
  const killed = counted.filter(({ killer }) => killer !== null)
  return { killed: killed.length, counted: counted.length, equivalent: mutants.length - counted.length }
}

export function percent({ killed, counted }) {
  return counted === 0 ? '–' : `${((killed / counted) * 100).toFixed(1)} %`
}

function scoreLine(name, mutants) {
  const result = score(mutants)
  return `${percent(result).padStart(7)}  ${result.killed}/${result.counted}, ${result.equivalent} equivalent  ${name}`
}

/** The lines of a file: its score and its survivors. */
export function reportOf(file, mutants) {
  if (mutants.length === 0) return []
  const survivors = mutants.filter(({ killer, isEquivalent }) => killer === null && !isEquivalent)
  return [
    scoreLine(file, mutants),
    ...survivors.map(({ position, line, change }) => `           ${position}: ${change}    in: ${line}`),
  ]
}

/** A line for each folder. */
export function reportOfFolders(lists) {
  const folders = new Map()
  for (const mutant of lists.flat()) {
    const folder = mutant.file.slice(0, mutant.file.lastIndexOf('/') + 1)
    folders.set(folder, [...(folders.get(folder) ?? []), mutant])
  }
  return [...folders].map(([folder, mutants]) => scoreLine(folder, mutants))
}
