-- Which sessions ended lately, for nodes that remember what they were answered (`follower.rs`): a
-- stream of accounts, written by `tell_end` in the step that ends them. An empty one is all of them.

-- Where the stream of the generation in force is now: the run, its key, its last entry. There has to
-- be one, for `ended_since` to see whether all that came after it is still there.
register('follow_ends', function(keys, args)
  local p = prefix(keys, args)
  local run, wrong = this_run()
  if wrong then
    return wrong
  end
  local function last()
    return call('XREVRANGE', p .. 'ends', '+', '-', 'COUNT', 1)[1]
  end
  if not last() then
    tell_end(p, '')
  end
  return { run, p .. 'ends', last()[1] }
end, ENDS)

-- What ended after an entry of a stream: where that leads to, and at most so many accounts. Nothing when nobody
-- can tell: it is another run or another generation, or the entry is not there any more, and then
-- neither may be what came after it, for the oldest go first.
register('ended_since', function(keys, args)
  local ends = prefix(keys, args) .. 'ends'
  local run, wrong = this_run()
  if wrong then
    return wrong
  end
  local from, most = args[4], args[5]
  if args[2] ~= run or args[3] ~= ends or #call('XRANGE', ends, from, from) == 0 then
    return false
  end
  local found = { from }
  for _, one in ipairs(call('XRANGE', ends, '(' .. from, '+', 'COUNT', most)) do
    found[1] = one[1]
    found[#found + 1] = one[2][2]
  end
  return found
end, READS)

-- Writes something behind all that ended sessions so far, so that it can be waited for that replicas
-- have it (`delivery.rs`). If that was at another run of Redis, this one's replicas know nothing of it.
-- Also where memory is full, as what it is behind.
register('mark_ends', function(keys, args)
  if args[2] and args[2] ~= this_run() then
    return redis.error_reply('ELSEWHERE sessions ended at another primary, and replicas may not have it')
  end
  call('SET', prefix(keys, args) .. 'ping', 1)
  return 1
end, ENDS)
