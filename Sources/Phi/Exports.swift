// Tokens, tokenizers, files and their errors stand in this module's interface: who imports it can name them.
@_exported import PhiFormat
@_exported import PhiTokenizer
