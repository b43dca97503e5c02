-- Queues tasks without anything else. KEYS: 1 queue · 2 wake · ARGV: 1 ms to rest · 2 task life ms · then id, definition for each
enqueue(KEYS[1], KEYS[2], ARGV, 3, ARGV[1], ARGV[2])
