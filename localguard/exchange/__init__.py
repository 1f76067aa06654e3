"""One request and its reply, start to end, without sockets, disk, clock or asyncio.

reading = RequestReading(format, memory, head, body)     parse; `reading.texts` are the texts not scanned before
reading.receive_findings(findings)                       one tuple of findings a text
work = reading.facts                                     what policy decides on
redacted = reading.redact(actions)                       the bytes that may leave
reply = ReplyRestorer(format, memory, ...)               fed with chunks, answers chunks
"""
