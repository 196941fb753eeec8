/* A number that many threads count up, each number handed out once. */
#ifndef DCREAD_TURNS_H
#define DCREAD_TURNS_H

#include <stdint.h>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
static inline int64_t dcread_next_turn(int64_t *turn)
{
    return _InterlockedExchangeAdd64((volatile __int64 *)turn, 1);
}

static inline void dcread_end_turns(int64_t *turn, int64_t end)
{
    (void)_InterlockedExchange64((volatile __int64 *)turn, end);
}
#else
static inline int64_t dcread_next_turn(int64_t *turn)
{
    return __atomic_fetch_add(turn, 1, __ATOMIC_RELAXED);
}

static inline void dcread_end_turns(int64_t *turn, int64_t end)
{
    __atomic_store_n(turn, end, __ATOMIC_RELAXED);
}
#endif

#endif
