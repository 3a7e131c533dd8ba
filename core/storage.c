/* SPDX-License-Identifier: Apache-2.0 */
typedef int ndbuf__storage_stub;
