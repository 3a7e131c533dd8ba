/* SPDX-License-Identifier: Apache-2.0 */
/* A C++ user of the installed library: every public header, a call into it, and its error. */
#include <cstdio>
#include <cstring>

#include <ndbuf/backend.h>
#include <ndbuf/ndbuf.h>
#include <ndbuf/opencl.h>

int main()
{
    ndbuf_error err{};
    ndbuf_format *format = nullptr;
    if (ndbuf_format_parse("T{<f:x:<f:y:}", 0, &format, &err) != NDBUF_OK) {
        std::printf("%s\n", err.message);
        return 1;
    }
    const bool sized = ndbuf_format_itemsize(format) == 8;
    ndbuf_format_release(format);

    ndbuf_view view{};
    const int64_t shape[] = {2, 3};
    if (ndbuf_view_create(&view, ndbuf_device_cpu(), nullptr, 2, shape, &err) != NDBUF_OK) {
        std::printf("%s\n", err.message);
        return 1;
    }
    const bool packed = view.nbytes == 6 && ndbuf_view_is_contiguous(&view, 'C') != 0;
    ndbuf_view_release(&view);

    const bool refused = ndbuf_opencl_device_handles(ndbuf_device_cpu(), nullptr, nullptr, &err) != NDBUF_OK;
    std::printf("ndbuf %s from C++\n", ndbuf_version());
    return sized && packed && refused ? 0 : 1;
}
