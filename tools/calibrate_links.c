/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calibrate_probe.h"
#include "fit.h"

/* The costs of a link: copies of several sizes by each route, and the costs that give their times best. Routes are had
 * by setting the costs so that the planner takes them. */

enum { CALL, WAIT, ROW, ELEMENT, BYTE, NUNKNOWNS };
static const char *const cost_names[NUNKNOWNS] = {"call_ns", "wait_ns", "row_ns", "element_ns", "bytes_per_ns"};

#define MAX_CASES 16
#define MUCH 1e9 /* of a cost that no route shall pay */

typedef struct link_case {
    ndbuf_route route;
    probe_kind kind;
    int64_t nrows;
    int64_t row_nbytes;
} link_case;

/* clang-format off */
static const link_case cases[] = {
    {NDBUF_ROUTE_BYTES, PROBE_ROWS, 1, 4096},
    {NDBUF_ROUTE_BYTES, PROBE_ROWS, 1, 65536},
    {NDBUF_ROUTE_BYTES, PROBE_ROWS, 64, 1024},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 256, 256},
    {NDBUF_ROUTE_STRIDED, PROBE_ITEMS, 1, 65536},
    {NDBUF_ROUTE_STRIDED, PROBE_TRANSPOSED, 256, 1024},
    {NDBUF_ROUTE_BYTES, PROBE_ROWS, 1, 1 << 20}, /* from here on not when quick */
    {NDBUF_ROUTE_BYTES, PROBE_ROWS, 1, 16 << 20},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 16384, 4},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 262144, 4},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 4096, 64},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 65536, 64},
    {NDBUF_ROUTE_RECT, PROBE_ROWS, 4096, 4096},
    {NDBUF_ROUTE_STRIDED, PROBE_ITEMS, 1, 4 << 20},
    {NDBUF_ROUTE_STRIDED, PROBE_TRANSPOSED, 1024, 4096},
    {NDBUF_ROUTE_STRIDED, PROBE_ROWS, 4096, 1024},
};
/* clang-format on */
enum { NCASES = sizeof(cases) / sizeof(cases[0]), NQUICK_CASES = 6 };
_Static_assert(NCASES <= MAX_CASES, "an array for each");

/* A link, and the beginning of the names of its costs. */
typedef struct link_under_test {
    ndbuf_device *from;
    ndbuf_device *to;
    char prefix[96];
} link_under_test;

static ndbuf_status set_cost(const link_under_test *self, int cost, double value, ndbuf_error *err)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", self->prefix, cost_names[cost]);
    return ndbuf_tuning_set(name, value, err);
}

static ndbuf_status set_costs(const link_under_test *self, const double *values, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    for (int k = 0; k < NUNKNOWNS && status == NDBUF_OK; k++) {
        status = set_cost(self, k, values[k], err);
    }
    return status;
}

static ndbuf_status set_map_cost(const link_under_test *self, double value, ndbuf_error *err)
{
    char name[128];
    snprintf(name, sizeof(name), "%smap_ns", self->prefix);
    return ndbuf_tuning_set(name, value, err);
}

static void kind_of(const ndbuf_device *device, char kind[32])
{
    ndbuf_device_info info;
    ndbuf_device_info_get(device, &info);
    snprintf(kind, 32, "%.*s", (int)strcspn(info.name, ":"), info.name);
}

static void link_init(link_under_test *out_link, ndbuf_device *from, ndbuf_device *to)
{
    char names[2][32];
    kind_of(from, names[0]);
    kind_of(to, names[1]);
    out_link->from = from;
    out_link->to = to;
    snprintf(out_link->prefix, sizeof(out_link->prefix), "link.%s.%s.", names[0], names[1]);
}

/* A plan that goes by the route of a case, or NULL where the link does not have it. */
static ndbuf_status plan_by_route(const link_under_test *self, const link_case *one, const probe *copy,
                                  ndbuf_copy_plan **out_plan, ndbuf_error *err)
{
    double costs[NUNKNOWNS] = {0};
    costs[CALL] = one->route == NDBUF_ROUTE_BYTES ? 0 : one->route == NDBUF_ROUTE_MAPPED ? MUCH : 1000;
    costs[ROW] = one->route == NDBUF_ROUTE_RECT ? 0 : MUCH;
    costs[ELEMENT] = one->route == NDBUF_ROUTE_STRIDED ? 0 : MUCH;
    ndbuf_copy_plan_info info;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = set_costs(self, costs, err);
    if (status == NDBUF_OK) {
        status = set_map_cost(self, one->route == NDBUF_ROUTE_MAPPED ? 0 : MUCH, err);
    }
    if (status == NDBUF_OK && self->from != self->to) {
        /* No packing on the host; but it is the one who copies what is mapped. */
        double element_ns = one->route == NDBUF_ROUTE_MAPPED ? (double)NAN : MUCH;
        status = ndbuf_tuning_set("link.cpu.cpu.element_ns", element_ns, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&copy->dst, &copy->src, NDBUF_CASTING_EQUIV, 0, &plan, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_copy_plan_info_get(plan, &info);
        if (info.route != (int32_t)one->route) {
            ndbuf_copy_plan_destroy(plan);
            plan = NULL;
        }
        *out_plan = plan;
    }
    return status;
}

static ndbuf_status measure(const calibration *self, const probe *copy, const ndbuf_copy_plan *plan, double *out_ns,
                            ndbuf_error *err)
{
    double ns[PROBE_MAX_ROUNDS];
    for (int round = -1; round < self->rounds; round++) {
        double one = probe_time(copy, plan);
        if (one < 0) {
            return ndbuf_fail(err, NDBUF_ERR_DEVICE, "a copy failed");
        }
        ns[round < 0 ? 0 : round] = one;
    }
    *out_ns = probe_median(ns, self->rounds);
    return NDBUF_OK;
}

static ndbuf_status measure_case(const calibration *self, const link_under_test *tested, const link_case *one,
                                 fit_row *rows, int *nrows, ndbuf_error *err)
{
    probe copy;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = probe_init(&copy, one->kind, one->nrows, one->row_nbytes, tested->from, tested->to, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = plan_by_route(tested, one, &copy, &plan, err);
    if (status == NDBUF_OK && plan != NULL) {
        ndbuf_copy_plan_info info;
        fit_row row = {{0}, 0};
        ndbuf_copy_plan_info_get(plan, &info);
        status = measure(self, &copy, plan, &row.ns, err);
        row.counts[CALL] = (double)info.ncalls;
        row.counts[WAIT] = tested->from == ndbuf_device_cpu() && tested->to == ndbuf_device_cpu() ? 0 : 1;
        row.counts[ROW] = one->route == NDBUF_ROUTE_RECT ? (double)info.nrows : 0;
        row.counts[ELEMENT] = one->route == NDBUF_ROUTE_STRIDED ? (double)info.nrows : 0;
        row.counts[BYTE] = (double)info.nbytes;
        rows[(*nrows)++] = row;
    }
    ndbuf_copy_plan_destroy(plan);
    probe_clear(&copy);
    return status;
}

/* By which factor the costs miss a time at most. */
static double worst_miss(const fit_row *rows, int nrows, const double *costs)
{
    double worst = 1;
    for (int i = 0; i < nrows; i++) {
        double ratio = fit_predict(&rows[i], NUNKNOWNS, costs) / rows[i].ns;
        ratio = ratio < 1 ? 1 / (ratio > 1e-9 ? ratio : 1e-9) : ratio;
        worst = ratio > worst ? ratio : worst;
    }
    return worst;
}

static void tell(const link_under_test *self, const ndbuf_link_costs *was, const double *found, const fit_row *rows,
                 int nrows)
{
    const double before[NUNKNOWNS] = {was->call_ns, was->wait_ns, was->row_ns, was->element_ns,
                                      was->bytes_per_ns > 0 ? 1 / was->bytes_per_ns : 0};
    fprintf(stderr, "%.*s: %d copies; estimates off by %.1f times at most, by %.1f before\n",
            (int)strlen(self->prefix) - 1, self->prefix, nrows, worst_miss(rows, nrows, found),
            worst_miss(rows, nrows, before));
    for (int k = 0; k < NUNKNOWNS; k++) {
        double a = k == BYTE && before[k] > 0 ? 1 / before[k] : before[k];
        double b = k == BYTE && found[k] > 0 ? 1 / found[k] : found[k];
        fprintf(stderr, "  %-28s %.2f -> %.2f\n", cost_names[k], a, b);
    }
}

/* A mapped copy of a few bytes takes a wait and the mapping; NAN: the link has no mapped copies. */
static ndbuf_status measure_map(const calibration *self, const link_under_test *tested, double wait_ns, double *out_ns,
                                ndbuf_error *err)
{
    static const link_case few = {NDBUF_ROUTE_MAPPED, PROBE_ROWS, 1, 64};
    fit_row row;
    int nrows = 0;
    ndbuf_status status = measure_case(self, tested, &few, &row, &nrows, err);
    *out_ns = nrows == 0 ? (double)NAN : row.ns > wait_ns ? row.ns - wait_ns : 0;
    return status;
}

ndbuf_status calibrate_link(const calibration *self, ndbuf_device *from, ndbuf_device *to, ndbuf_error *err)
{
    link_under_test tested;
    fit_row rows[MAX_CASES];
    double found[NUNKNOWNS];
    int nrows = 0;
    ndbuf_link_costs before;
    double host_element = 0;
    double map_ns = 0;
    link_init(&tested, from, to);
    ndbuf_status status = ndbuf_link_costs_get(from, to, &before, NULL);
    if (status != NDBUF_OK) {
        return status == NDBUF_ERR_UNSUPPORTED ? NDBUF_OK : status; /* no link */
    }
    status = ndbuf_tuning_get("link.cpu.cpu.element_ns", &host_element, err);
    for (int k = 0; k < (self->is_quick ? (int)NQUICK_CASES : (int)NCASES) && status == NDBUF_OK; k++) {
        status = measure_case(self, &tested, &cases[k], rows, &nrows, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    fit_costs(rows, nrows, NUNKNOWNS, found);
    status = measure_map(self, &tested, found[WAIT], &map_ns, err);
    if (status == NDBUF_OK) {
        status = set_map_cost(&tested, map_ns, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_tuning_set("link.cpu.cpu.element_ns", host_element, err);
    }
    tell(&tested, &before, found, rows, nrows);
    /* What no copy had stays the backend's. */
    for (int k = 0; k < NUNKNOWNS && status == NDBUF_OK; k++) {
        int is_measured = 0;
        for (int i = 0; i < nrows; i++) {
            is_measured |= rows[i].counts[k] > 0;
        }
        double value = !is_measured ? (double)NAN : k == BYTE && found[k] > 0 ? 1 / found[k] : found[k];
        status = set_cost(&tested, k, value, err);
    }
    return status;
}
