/* SPDX-License-Identifier: Apache-2.0 */
typedef int ndbuf__exporter_stub;
