/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "json_writer.h"
#include "ndbuf/ndbuf.h"
#include "report.h"

static const char help[] = "usage: ndbuf devices [--json]\n"
                           "\n"
                           "Every backend that the library knows, with its devices, or why it has none.\n"
                           "\n"
                           "  --json   the same as JSON\n";

static const struct {
    uint32_t flag;
    const char *name;
    const char *text;
} flags[] = {
    {NDBUF_DEVICE_SIMULATED, "simulated", "SIMULATED: no hardware behind it"},
    {NDBUF_DEVICE_HOST_ACCESSIBLE, "host_accessible", "the host can touch its memory"},
    {NDBUF_DEVICE_UNIFIED, "unified", "shares the host's memory"},
};
#define NFLAGS (sizeof(flags) / sizeof(flags[0]))

/* Where the devices go: lines, or JSON. */
typedef struct device_output {
    json_writer json;
    int is_json;
    char last_reason[248]; /* of the backend before: that of several tables of one driver is told once */
} device_output;

/* "available", "unavailable" (not on this machine), "not built", or "failed". */
static const char *backend_state(const ndbuf_backend_info *backend)
{
    return !backend->built                            ? "not built"
           : backend->status == NDBUF_OK              ? "available"
           : backend->status == NDBUF_ERR_UNAVAILABLE ? "unavailable"
                                                      : "failed";
}

static void put_size(const char *what, uint64_t nbytes)
{
    report_text text;
    if (nbytes != 0) {
        printf("    %-10s  %s\n", what, report_nbytes(nbytes, text));
    }
}

static void put_device(device_output *output, const ndbuf_device_info *info)
{
    if (output->is_json) {
        json_writer *json = &output->json;
        json_open(json, NULL, '{');
        json_string(json, "name", info->name);
        json_integer(json, "type", info->tag.type);
        json_integer(json, "id", info->tag.id);
        json_string(json, "description", info->description);
        json_string(json, "driver", info->driver);
        json_unsigned(json, "memory_nbytes", info->memory_nbytes);
        json_unsigned(json, "max_allocation_nbytes", info->max_allocation_nbytes);
        json_open(json, "flags", '[');
        for (size_t k = 0; k < NFLAGS; k++) {
            if (info->flags & flags[k].flag) {
                json_string(json, NULL, flags[k].name);
            }
        }
        json_close(json, ']');
        json_close(json, '}');
        return;
    }
    printf("  %s\n    %-10s  %s\n", info->name, "device", info->description);
    if (info->driver[0] != '\0') {
        printf("    %-10s  %s\n", "driver", info->driver);
    }
    put_size("memory", info->memory_nbytes);
    put_size("allocation", info->max_allocation_nbytes);
    for (size_t k = 0; k < NFLAGS; k++) {
        if (info->flags & flags[k].flag) {
            printf("    %-10s  %s\n", "", flags[k].text);
        }
    }
}

static ndbuf_status put_devices(device_output *output, const ndbuf_backend_info *backend, ndbuf_error *err)
{
    for (int32_t k = 0; k < backend->ndevices; k++) {
        char name[64];
        ndbuf_device *device = NULL;
        snprintf(name, sizeof(name), "%s:%d", backend->name, k);
        ndbuf_status status = ndbuf_device_open(name, &device, err);
        if (status != NDBUF_OK) {
            return status;
        }
        ndbuf_device_info info = {0};
        ndbuf_device_info_get(device, &info);
        put_device(output, &info);
        ndbuf_device_close(device);
    }
    return NDBUF_OK;
}

static ndbuf_status put_backend(device_output *output, int32_t index, ndbuf_error *err)
{
    ndbuf_backend_info backend = {0};
    ndbuf_status status = ndbuf_backend_info_get(index, &backend, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (!output->is_json) {
        bool is_repeated = strcmp(backend.reason, output->last_reason) == 0;
        bool tells_why = backend.built && backend.reason[0] != '\0';
        printf("%s: %s%s%s\n", backend.name, backend.built ? backend_state(&backend) : backend.reason,
               tells_why ? ": " : "",
               !tells_why    ? ""
               : is_repeated ? "likewise"
                             : backend.reason);
        memcpy(output->last_reason, backend.reason, sizeof(output->last_reason));
        return put_devices(output, &backend, err);
    }
    json_writer *json = &output->json;
    json_open(json, NULL, '{');
    json_string(json, "name", backend.name);
    json_bool(json, "built", backend.built);
    json_string(json, "state", backend_state(&backend));
    json_string(json, "reason", backend.reason);
    json_integer(json, "native_code", backend.native_code);
    json_open(json, "devices", '[');
    status = put_devices(output, &backend, err);
    json_close(json, ']');
    json_close(json, '}');
    return status;
}

/* Where the constants of ndbuf/tuning.h come from, unless they are all the defaults. */
static void put_tuning(device_output *output)
{
    ndbuf_tuning_info tuning;
    ndbuf_tuning_info_get(&tuning);
    if (output->is_json) {
        json_writer *json = &output->json;
        json_open(json, "tuning", '{');
        json_string(json, "file", tuning.path);
        json_bool(json, "read", tuning.path[0] != '\0' && tuning.status == NDBUF_OK);
        json_string(json, "reason", tuning.reason);
        json_string(json, "machine", tuning.machine);
        json_integer(json, "nset", tuning.nset);
        json_close(json, '}');
    } else if (tuning.path[0] != '\0' && tuning.status == NDBUF_OK) {
        printf("tuning: %d constants from %s%s%s\n", (int)tuning.nset, tuning.path,
               tuning.machine[0] != '\0' ? ", measured on " : "", tuning.machine);
    } else if (tuning.path[0] != '\0') {
        printf("tuning: the defaults: NDBUF_TUNING: %s\n", tuning.reason);
    }
}

int command_devices(args_reader *args)
{
    static const args_option options[] = {{"--json", 0}, {NULL, 0}};
    device_output output = {{stdout, 0, 0}, 0, ""};
    const char *value = NULL;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        if (option == 0) {
            output.is_json = 1;
        } else if (option == ARGS_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        } else if (option == ARGS_OPERAND) {
            return args_usage(args, "'%.128s' is one argument too many", value);
        } else {
            return EXIT_USAGE;
        }
    }
    ndbuf_error err = {0};
    ndbuf_status status = NDBUF_OK;
    if (output.is_json) {
        json_open(&output.json, NULL, '{');
        json_string(&output.json, "version", ndbuf_version());
        json_open(&output.json, "backends", '[');
    }
    int32_t count = ndbuf_backend_count();
    for (int32_t k = 0; k < count && status == NDBUF_OK; k++) {
        status = put_backend(&output, k, &err);
    }
    if (output.is_json) {
        json_close(&output.json, ']');
    }
    put_tuning(&output);
    if (output.is_json) {
        json_close(&output.json, '}');
    }
    return status == NDBUF_OK ? EXIT_DONE : report_error(&err);
}
