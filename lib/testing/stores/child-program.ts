// Where the other process's program is. Imported only by the case that forks it: no module that an entry point imports
// statically may have `import.meta`, which Jest's CommonJS recipe cannot compile.

export const CHILD_PROGRAM: URL = new URL('./child.js', import.meta.url)
