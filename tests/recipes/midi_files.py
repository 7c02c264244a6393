"""MIDI files of one track, read by the standard."""

import struct


def read_midi(path):
    """`(ticks, status, note)` of each event of a file of one track; the end of the track is the last."""
    content = path.read_bytes()
    assert content[:14] == b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480)
    assert content[14:22] == b"MTrk" + struct.pack(">I", len(content) - 22)
    track, at, time, events = content[22:], 0, 0, []
    while at < len(track):
        wait = 0
        while track[at] & 0x80:
            wait, at = wait << 7 | track[at] & 0x7F, at + 1
        wait, at = wait << 7 | track[at], at + 1
        time += wait
        status = track[at]
        if status == 0xFF:
            events.append((time, status, track[at + 1]))
            at += 3 + track[at + 2]
        else:
            events.append((time, status, track[at + 1]))
            at += 2 if status == 0xC0 else 3
    assert events[-1][1:] == (0xFF, 0x2F)
    return events


def sounding(events, time):
    """Which of 128 notes are on after all events up to a time."""
    on = [False] * 128
    for when, status, note in events:
        if when <= time and status in (0x80, 0x90):
            assert on[note] == (status == 0x80)
            on[note] = status == 0x90
    return on
