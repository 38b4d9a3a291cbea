"""What a site says about machines, read from its files, headers and pages. Pure: text in, verdict out.

`robots` (RFC 9309), `content_usage` (IETF AI Preferences), `tdmrep` (W3C community group), `ai_txt` (Spawning),
`headers` (X-Robots-Tag and the headers of the others) and `meta_tags` each give an `Objection` or nothing;
`verdicts` makes one `pipeline.records.Consent` of them. `crawler.network.consent_gate` asks for the files.
"""
