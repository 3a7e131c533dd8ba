/* SPDX-License-Identifier: Apache-2.0 */
typedef int ndbuf__format_stub;
