/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_EXPORT_H
#define NDBUF_EXPORT_H

/* NDBUF_API marks what libndbuf exports. NDBUF_BUILDING is defined while the library itself is compiled, NDBUF_STATIC
 * by those who link the static library. */
#if defined(_WIN32) && !defined(NDBUF_STATIC)
#ifdef NDBUF_BUILDING
#define NDBUF_API __declspec(dllexport)
#else
#define NDBUF_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define NDBUF_API __attribute__((visibility("default")))
#else
#define NDBUF_API
#endif

/* Marks a printf-like function: `format_index` and `first_index` count arguments from 1. */
#if defined(__GNUC__)
#define NDBUF_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#else
#define NDBUF_PRINTF(format_index, first_index)
#endif

/* The version of every struct that crosses a boundary between program parts: ndbuf_owner, ndbuf_view, ndbuf_request,
 * ndbuf_exporter, ndbuf_error. It changes only when one of them changes incompatibly; a part meeting another number
 * refuses with NDBUF_ERR_ABI. */
#define NDBUF_ABI_VERSION 1u

#endif
