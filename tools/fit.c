/* SPDX-License-Identifier: Apache-2.0 */
#include "fit.h"

#include <string.h>

double fit_predict(const fit_row *row, int nunknowns, const double *costs)
{
    double sum = 0;
    for (int k = 0; k < nunknowns; k++) {
        sum += row->counts[k] * costs[k];
    }
    return sum;
}

static double squared_errors(const fit_row *rows, int nrows, int nunknowns, const double *costs)
{
    double sum = 0;
    for (int i = 0; i < nrows; i++) {
        double error = fit_predict(&rows[i], nunknowns, costs) / rows[i].ns - 1;
        sum += error * error;
    }
    return sum;
}

static double magnitude(double value)
{
    return value < 0 ? -value : value;
}

/* Solves a system in place by elimination. 0: it has no single solution. */
static int solve(double matrix[FIT_MAX_UNKNOWNS][FIT_MAX_UNKNOWNS + 1], int n)
{
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++) {
            pivot = magnitude(matrix[i][k]) > magnitude(matrix[pivot][k]) ? i : pivot;
        }
        if (magnitude(matrix[pivot][k]) < 1e-12) {
            return 0;
        }
        for (int j = 0; j <= n; j++) {
            double value = matrix[k][j];
            matrix[k][j] = matrix[pivot][j];
            matrix[pivot][j] = value;
        }
        for (int i = 0; i < n; i++) {
            double factor = i != k ? matrix[i][k] / matrix[k][k] : 0;
            for (int j = k; j <= n && i != k; j++) {
                matrix[i][j] -= factor * matrix[k][j];
            }
        }
    }
    return 1;
}

/* The best costs of the unknowns in `set`, a mask, the others being 0. Columns are scaled, so that bytes and calls are
 * of one size. Returns whether there are such, none below 0. */
static int fit_subset(const fit_row *rows, int nrows, int nunknowns, unsigned set, double *out_costs)
{
    double matrix[FIT_MAX_UNKNOWNS][FIT_MAX_UNKNOWNS + 1] = {{0}};
    double scales[FIT_MAX_UNKNOWNS] = {0};
    int members[FIT_MAX_UNKNOWNS];
    int n = 0;
    memset(out_costs, 0, (size_t)nunknowns * sizeof(*out_costs));
    for (int k = 0; k < nunknowns; k++) {
        for (int i = 0; i < nrows; i++) {
            double part = rows[i].counts[k] / rows[i].ns;
            scales[k] = part > scales[k] ? part : scales[k];
        }
        if (set >> k & 1) {
            members[n++] = k;
            if (scales[k] == 0) {
                return 0;
            }
        }
    }
    for (int i = 0; i < nrows; i++) {
        for (int a = 0; a < n; a++) {
            double part = rows[i].counts[members[a]] / rows[i].ns / scales[members[a]];
            for (int b = 0; b < n; b++) {
                matrix[a][b] += part * (rows[i].counts[members[b]] / rows[i].ns / scales[members[b]]);
            }
            matrix[a][n] += part;
        }
    }
    if (!solve(matrix, n)) {
        return 0;
    }
    for (int a = 0; a < n; a++) {
        double cost = matrix[a][n] / matrix[a][a] / scales[members[a]];
        if (cost < 0) {
            return 0;
        }
        out_costs[members[a]] = cost;
    }
    return 1;
}

void fit_costs(const fit_row *rows, int nrows, int nunknowns, double *out_costs)
{
    double least = (double)nrows; /* the error of costs that are all 0 */
    memset(out_costs, 0, (size_t)nunknowns * sizeof(*out_costs));
    /* So few unknowns that each way of leaving some out can be tried. */
    for (unsigned set = 1; set < 1u << nunknowns; set++) {
        double costs[FIT_MAX_UNKNOWNS];
        if (fit_subset(rows, nrows, nunknowns, set, costs)) {
            double errors = squared_errors(rows, nrows, nunknowns, costs);
            if (errors < least) {
                least = errors;
                memcpy(out_costs, costs, (size_t)nunknowns * sizeof(*out_costs));
            }
        }
    }
}

double fit_threshold(const fit_threshold_input *input, double *out_best)
{
    int from = input->nsizes;
    while (from > 0 && input->ratios[from - 1] < 1) {
        from--;
    }
    double found = input->first; /* the size of index `from` */
    for (int k = 0; k < from; k++) {
        found *= 2;
    }
    if (from == input->nsizes && !input->is_of_caches) {
        found = input->never;
    }
    double best = 1;
    double nbytes = input->first;
    for (int k = 0; k < input->nsizes; k++) {
        const double gain = nbytes >= found && nbytes < input->before   ? input->ratios[k]
                            : nbytes >= input->before && nbytes < found ? 1 / input->ratios[k]
                                                                        : 1;
        best = gain < best ? gain : best;
        nbytes *= 2;
    }
    *out_best = best;
    return best < FIT_CLEARLY ? found : input->before;
}
