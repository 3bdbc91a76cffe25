// This module's interface contains types of these modules.
@_exported import PhiFormat
@_exported import PhiTokenizer
