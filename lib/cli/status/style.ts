// The style sheet of the status page. Each colour has a contrast of 4.5 to 1 against what is behind it, in both schemes.

export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #fff; --front: #1c2126; --soft: #57606a; --line: #d0d7de; --card: #f6f8fa;
  --good: #116329; --wait: #8f5f00; --bad: #a40e26; --link: #0550ae; --other: #6639ba;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --front: #e6edf3; --soft: #9198a1; --line: #3d444d; --card: #151b23;
    --good: #56d364; --wait: #e3b341; --bad: #ff8f87; --link: #79c0ff; --other: #d2a8ff;
  }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 80rem; background: var(--back); color: var(--front);
  font: 15px/1.45 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0 }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; justify-content: space-between }
header p { margin: 0; color: var(--soft) }
button { font: inherit; padding: .3rem .9rem; border: 1px solid var(--soft); border-radius: .4rem;
  background: var(--card); color: var(--front); cursor: pointer }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 1rem 0 }
.cards div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem }
dt { color: var(--soft); font-size: .85rem }
dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 2rem }
figure { margin: 0 }
svg { width: 100%; height: auto; display: block }
svg line { stroke: var(--line) }
svg text { fill: var(--soft); font-size: 12px }
.series0 { fill: var(--good) } .series1 { fill: var(--wait) } .series2 { fill: var(--bad) } .series3 { fill: var(--other) }
.refusals .series0 { fill: var(--wait) } .refusals .series1 { fill: var(--bad) } .refusals .series2 { fill: var(--other) }
.legend { display: flex; flex-wrap: wrap; gap: 0 1.2rem; list-style: none; margin: .3rem 0; padding: 0; font-size: .85rem }
.legend svg { width: .8rem; height: .8rem; display: inline-block; vertical-align: -.05rem; margin-right: .4rem }
summary { cursor: pointer; color: var(--link) }
.scroll { overflow-x: auto; max-height: 30rem; overflow-y: auto; border: 1px solid var(--line); border-radius: .5rem }
table { border-collapse: collapse; width: 100%; font-size: .87rem }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
thead th { position: sticky; top: 0; background: var(--card); white-space: nowrap }
td .address, td .reason { display: block; min-width: 9.5rem; overflow-wrap: anywhere }
td .reason { min-width: 13rem }
td:first-child { white-space: nowrap }
.number { font-variant-numeric: tabular-nums }
.accepted, .passes { color: var(--good) } .waits, .would-wait, .deferred { color: var(--wait) }
.refused { color: var(--bad) } .lost { color: var(--other) }
`
