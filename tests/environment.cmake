# SPDX-License-Identifier: Apache-2.0
# What ctest sets before it runs the tests, all of them alike; what is in the environment already comes last, and rules.
#
# Allocations that are too large must return NULL under the sanitizers, too. The leak checker now and then crashes over
# the dynamic thread-local memory of PoCL's threads that are ending; it does without. LLVM, which PoCL brings, gives
# threads signal stacks of its own, over which the address sanitizer fails if it has some, too.
set(ENV{ASAN_OPTIONS} allocator_may_return_null=1:intercept_tls_get_addr=0:use_sigaltstack=0:$ENV{ASAN_OPTIONS})
set(ENV{TSAN_OPTIONS} allocator_may_return_null=1:$ENV{TSAN_OPTIONS})
# PoCL shows two devices: its host device is called cpu, or pthread before version 4, and unknown names are passed over.
if(NOT DEFINED ENV{POCL_DEVICES})
    set(ENV{POCL_DEVICES} "cpu cpu pthread pthread")
endif()
