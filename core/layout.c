/* SPDX-License-Identifier: Apache-2.0 */
typedef int ndbuf__layout_stub;
