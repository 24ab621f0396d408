// mailhandler/testing: drive a handler in memory, without a port and a network.

export type { Chunking } from './chunking.ts'
export { randomChunks, rechunk } from './chunks.ts'
export { Conversation, converse } from './conversation.ts'
export type { ConverseOptions } from './conversation.ts'
export { connect, duplexPair } from './duplex-pair.ts'
export { matchesReply } from './expected-reply.ts'
export type { ExpectedReply } from './expected-reply.ts'
export { playEverySplit, playTranscript } from './play.ts'
export type { PlayedSplits, PlayOnceOptions, PlayOptions } from './play.ts'
export type { ReceivedReply } from './reply-reader.ts'
export { parseTranscript, pipelined } from './transcript.ts'
export type { Transcript, TranscriptReply, TranscriptStep } from './transcript.ts'
