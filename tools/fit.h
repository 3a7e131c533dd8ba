/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_FIT_H
#define NDBUF_TOOLS_FIT_H

#define FIT_MAX_UNKNOWNS 6

/* A measurement: what it consists of, and what it took. */
typedef struct fit_row {
    double counts[FIT_MAX_UNKNOWNS];
    double ns; /* > 0 */
} fit_row;

/* What one of each costs, none below 0: the least squares of the relative errors. Unknowns that no row has are 0. */
void fit_costs(const fit_row *rows, int nrows, int nunknowns, double *out_costs);

/* The time that the costs predict for a row. */
double fit_predict(const fit_row *row, int nunknowns, const double *costs);

/* What takes less than this part of the time is clearly better. */
#define FIT_CLEARLY 0.97

/* Measurements of something that is done from a size on: the time with it over that without, for copies of sizes that
 * begin with `first` and double. */
typedef struct fit_threshold_input {
    const double *ratios; /* 1: undecided */
    int nsizes;
    double first;  /* in bytes, as are the following */
    double before; /* the size from which it is done so far */
    double never;  /* a size that no copy has */
    int is_of_caches;
} fit_threshold_input;

/* The size from which it pays, at all larger ones, too. If it pays at none, it never does; but what has to do with the
 * caches pays behind the sizes that were tried, which still fit some. That size is returned if one of the copies whose
 * way it changes becomes clearly faster; else the one so far. *out_best is their least time over that so far, 1 at
 * most. */
double fit_threshold(const fit_threshold_input *input, double *out_best);

#endif
