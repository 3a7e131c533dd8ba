/* SPDX-License-Identifier: Apache-2.0 */
typedef int ndbuf__stub_opencl_backend;
