// Made by `pnpm generate:sdk` from the API's own OpenAPI document; not to be changed by hand.

export interface paths {
    "/api/projects/{id}/backups": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the backups of a project, newest first */
        get: {
            parameters: {
                query: {
                    page: number;
                    per_page: number;
                    /** @description Only what comes after this backup in the list: its last one gives the next page, whatever is made or deleted meanwhile */
                    after?: string;
                };
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            data: {
                                /** @description UUID */
                                id: string;
                                name: string | null;
                                description: string | null;
                                /** @enum {unknown} */
                                type: "manual" | "automatic";
                                /** @enum {unknown} */
                                status: "creating" | "completed" | "partial" | "failed" | "cancelled" | "deleting" | "deleted";
                                size: number;
                                /** @description Where it lies, as a URL */
                                file_path: string | null;
                                /** @description `sha256:` and that of the manifest */
                                checksum: string | null;
                                /** @description UTC, ISO 8601 */
                                created_at: string;
                                /** @description UTC, ISO 8601 */
                                completed_at: string | null;
                                /** @description Project id */
                                project_id: number;
                            }[];
                            total: number;
                            page: number;
                            per_page: number;
                            total_pages: number;
                        };
                    };
                };
            };
        };
        put?: never;
        /** Start a backup of a project */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: number;
                };
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": {
                        /** @description one line of text without spaces at its ends */
                        name: string;
                        description?: string;
                        /** @description Destinations that get a copy once the backup is made. While a copy has failed the backup is `partial`; it can be restored all the same */
                        copy_to?: string[];
                        /**
                         * @description Who makes it: somebody, or a program by itself. It changes nothing of what is backed up
                         * @default manual
                         * @enum {unknown}
                         */
                        type?: "manual" | "automatic";
                    };
                };
            };
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            data: {
                                /** @description UUID */
                                id: string;
                                name: string | null;
                                description: string | null;
                                /** @enum {unknown} */
                                type: "manual" | "automatic";
                                /** @enum {unknown} */
                                status: "creating" | "completed" | "partial" | "failed" | "cancelled" | "deleting" | "deleted";
                                size: number;
                                /** @description Where it lies, as a URL */
                                file_path: string | null;
                                /** @description `sha256:` and that of the manifest */
                                checksum: string | null;
                                /** @description UTC, ISO 8601 */
                                created_at: string;
                                /** @description UTC, ISO 8601 */
                                completed_at: string | null;
                                /** @description Project id */
                                project_id: number;
                            };
                            message: string;
                            /** @description UUID */
                            id: string;
                            name: string | null;
                            description: string | null;
                            /** @enum {unknown} */
                            type: "manual" | "automatic";
                            /** @enum {unknown} */
                            status: "creating" | "completed" | "partial" | "failed" | "cancelled" | "deleting" | "deleted";
                            size: number;
                            /** @description Where it lies, as a URL */
                            file_path: string | null;
                            /** @description `sha256:` and that of the manifest */
                            checksum: string | null;
                            /** @description UTC, ISO 8601 */
                            created_at: string;
                            /** @description UTC, ISO 8601 */
                            completed_at: string | null;
                            /** @description Project id */
                            project_id: number;
                        };
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backups/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a backup */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description UUID */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            data: {
                                /** @description UUID */
                                id: string;
                                type: string;
                                status: string;
                                size_bytes: number;
                                size_formatted: string;
                                /** @description UTC, ISO 8601 */
                                created_at: string;
                                /** @description UTC, ISO 8601 */
                                completed_at: string | null;
                                duration_seconds: number | null;
                                location: string | null;
                                encrypted: boolean;
                                verified: boolean;
                                /** @description UTC, ISO 8601 */
                                retention_until: string | null;
                                locked: {
                                    /** @description UTC, ISO 8601 */
                                    since: string;
                                    /** @description UTC, ISO 8601 */
                                    until: string | null;
                                    by: string | null;
                                    reason: string;
                                } | null;
                                checksum: string | null;
                                name: string | null;
                                description: string | null;
                                /** @description Project id */
                                project_id: number;
                                content_bytes: number;
                                encryption_algorithm: string | null;
                                compressed: boolean;
                                deduplicated: boolean;
                                compression_ratio: number | null;
                                /** @description UTC, ISO 8601 */
                                verification_date: string | null;
                                retention_days: number | null;
                                components: {
                                    [key: string]: {
                                        size_bytes: number;
                                        files_count?: number;
                                        directories_count?: number;
                                        tables_count?: number | null;
                                        records_count?: number | null;
                                        backup_method?: string;
                                        users_count?: null;
                                    };
                                };
                                services: {
                                    /** @description UUID */
                                    id: string;
                                    name: string;
                                    component: string;
                                    /** @description UUID */
                                    server_id: string;
                                    server_name: string;
                                    status: string;
                                    paths: string[];
                                    /** @description UUID */
                                    parent_id: string | null;
                                    size_bytes: number | null;
                                    content_bytes: number | null;
                                    files_count: number | null;
                                    warning_count: number;
                                    checksum: string | null;
                                    file_path: string | null;
                                    error: {
                                        code: string;
                                        message: string;
                                    } | null;
                                }[];
                                metadata: {
                                    [key: string]: unknown;
                                };
                                restore_count: number;
                                /** @description UTC, ISO 8601 */
                                last_restore_date: string | null;
                                warnings: string[];
                                file_warnings: {
                                    service: string | null;
                                    code: string;
                                    message: string;
                                    path: string | null;
                                    path_base64: string | null;
                                }[];
                                error: {
                                    code: string;
                                    message: string;
                                } | null;
                                /** @description Its further destinations */
                                copies: {
                                    /** @description UUID */
                                    destination_id: string;
                                    destination_name: string;
                                    /** @enum {unknown} */
                                    status: "pending" | "copying" | "completed" | "failed";
                                    /** @description Where it lies, as a URL */
                                    location: string | null;
                                    /** @description UUID */
                                    job_id: string | null;
                                    size_bytes: number | null;
                                    /** @description UTC, ISO 8601 */
                                    started_at: string | null;
                                    /** @description UTC, ISO 8601 */
                                    completed_at: string | null;
                                    /** @description UTC, ISO 8601 */
                                    verified_at: string | null;
                                    error: {
                                        code: string;
                                        message: string;
                                    } | null;
                                }[];
                            };
                            /** @description UUID */
                            id: string;
                            name: string | null;
                            description: string | null;
                            /** @enum {unknown} */
                            type: "manual" | "automatic";
                            /** @enum {unknown} */
                            status: "creating" | "completed" | "partial" | "failed" | "cancelled" | "deleting" | "deleted";
                            size: number;
                            /** @description Where it lies, as a URL */
                            file_path: string | null;
                            /** @description `sha256:` and that of the manifest */
                            checksum: string | null;
                            /** @description UTC, ISO 8601 */
                            created_at: string;
                            /** @description UTC, ISO 8601 */
                            completed_at: string | null;
                            /** @description Project id */
                            project_id: number;
                        };
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /** Delete a backup and its stored objects */
        delete: {
            parameters: {
                query?: {
                    force?: boolean;
                    reason?: string;
                };
                header?: never;
                path: {
                    /** @description UUID */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            data: {
                                /** @description UUID */
                                backup_id: string;
                                /** @description UTC, ISO 8601 */
                                deleted_at: string | null;
                                space_freed_bytes: number | null;
                                space_freed_formatted: string | null;
                                /** @description UUID */
                                job_id: string | null;
                            };
                            message: string;
                        };
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backups/{id}/restore": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Put a backup’s files back */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description UUID */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: {
                content: {
                    "application/json": {
                        /**
                         * @description selective needs selectedServices; left out, as full, with the message of document 3
                         * @enum {unknown}
                         */
                        restoreType?: "full" | "selective";
                        /** @description Ids or names of services of one server */
                        selectedServices?: string[];
                        /**
                         * @description Check the stored archives before anything is changed
                         * @default true
                         */
                        verifyIntegrity?: boolean;
                        /**
                         * @description Keep what was there, put it back when anything fails, and keep it for a time after the restore. false: what a failure leaves is told, not undone
                         * @default true
                         */
                        createRollbackPoint?: boolean;
                        /**
                         * @description true: services that were started again are not checked
                         * @default false
                         */
                        skipHealthChecks?: boolean;
                        /**
                         * @description true: look whether and what a restore would change, and change nothing. The answer has `preview`; it counts as a verification, not as a restore
                         * @default false
                         */
                        validateOnly?: boolean;
                        /** @description Read the copy at this destination; left out, the backup’s own */
                        destination_id?: string;
                        /** @description The project of target_server_id; left out, the one that server is in. For rows of a tenant alone the server need not be named */
                        target_project_id?: number;
                        /** @description Another server to restore to; left out, the one that was backed up */
                        target_server_id?: string;
                        /** @description files and folders, as they were backed up, each with all that the backup holds below it; left out, everything */
                        paths?: string[];
                        /** @description an absolute path: the folder below which the whole paths are put; left out, the original paths */
                        restorePath?: string;
                        database?: {
                            /**
                             * @description true: databases that exist are replaced by the backup’s, as a whole; false: they make the restore fail before anything is changed
                             * @default false
                             */
                            dropExisting?: boolean;
                        };
                        /** @description true: what is restored takes the place of what is there; false leaves as it is what exists. Left out, true for the original paths, false with restorePath */
                        overwrite?: boolean;
                        /**
                         * @description The project’s own records (servers, services, destinations, schedules), for administrators: missing makes again what is not there any more, all sets back what differs as well. Left out, missing for a restore of the whole backup in its own project, else none
                         * @enum {unknown}
                         */
                        records?: "missing" | "all" | "none";
                        notification?: {
                            /** @description Each gets a letter of its own */
                            email?: string[];
                            /** @description an http or https address */
                            webhook?: string;
                            /**
                             * @description Tell of one that completed
                             * @default true
                             */
                            on_success?: boolean;
                            /**
                             * @description Tell of one that failed, in part too, or was cancelled
                             * @default true
                             */
                            on_failure?: boolean;
                        };
                    } | null;
                };
            };
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            message: string;
                            data: {
                                /** @description UUID */
                                restoreJobId: string;
                                status: string;
                                servicesRestored: string[];
                                servicesFailed: string[];
                                filesRestored: number | null;
                                filesSkipped: number | null;
                                /** @description milliseconds */
                                duration: number | null;
                                rolledBack: boolean;
                                warnings: string[];
                                preview?: {
                                    backup: {
                                        /** @description UUID */
                                        id: string;
                                        backupType: string;
                                        /** @description UTC, ISO 8601 */
                                        createdAt: string;
                                        fileSize: number;
                                        serverName: string;
                                    };
                                    /** @enum {unknown} */
                                    restoreType: "full" | "selective";
                                    services: {
                                        /** @description UUID */
                                        id: string;
                                        name: string;
                                        type: string;
                                        /**
                                         * @description none: files alone, nothing runs
                                         * @enum {unknown}
                                         */
                                        status: "running" | "changing" | "stopped" | "failed" | "unknown" | "none" | null;
                                        configPaths: string[];
                                        dataPaths: string[];
                                        backupPriority: number;
                                        filesToRestore: number | null;
                                        bytesToRestore: number | null;
                                        changes: {
                                            created: {
                                                entries: number;
                                                files: number;
                                                bytes: number;
                                                examples: string[];
                                            };
                                            overwritten: {
                                                entries: number;
                                                files: number;
                                                bytes: number;
                                                examples: string[];
                                            };
                                            unchanged: {
                                                entries: number;
                                                files: number;
                                                bytes: number;
                                                examples: string[];
                                            };
                                            deleted: {
                                                entries: number;
                                                files: number;
                                                bytes: number;
                                                examples: string[];
                                            };
                                            kept: {
                                                entries: number;
                                                files: number;
                                                bytes: number;
                                                examples: string[];
                                            };
                                        } | null;
                                    }[];
                                    servicesCount: number;
                                    /** @description seconds */
                                    estimatedDuration: number | null;
                                    /** @description seconds for which services are stopped */
                                    estimatedDowntime: number | null;
                                    filesToRestore: number | null;
                                    bytesToRestore: number | null;
                                    target: {
                                        /** @description UUID */
                                        serverId: string;
                                        serverName: string;
                                        paths: string[] | null;
                                        restorePath: string | null;
                                        overwrite: boolean;
                                    };
                                    /** @description Those on the target that are stopped, started or checked */
                                    affectedServices: {
                                        /** @description UUID */
                                        id: string;
                                        name: string;
                                        /** @enum {unknown} */
                                        status: "running" | "changing" | "stopped" | "failed" | "unknown" | null;
                                        detail: string | null;
                                    }[];
                                    /** @description Names of services, those side by side that are stopped at once; once known, those that run */
                                    stopOrder: string[][];
                                    startOrder: string[][];
                                    /** @description whether a restore would begin now */
                                    canRestore: boolean | null;
                                    integrityVerified: boolean | null;
                                    problems: {
                                        service: string | null;
                                        code: string;
                                        message: string;
                                    }[] | null;
                                    warnings: string[];
                                    /** @description UUID */
                                    previewJobId: string | null;
                                };
                            };
                            /** @description Project id */
                            target_project_id: number;
                        };
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/backups/{id}/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Check a backup, as closely as the body asks */
        post: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description UUID */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: {
                content: {
                    "application/json": {
                        /** @description Reads every file, those in the archives of earlier backups too; needs the keys */
                        deep_verification?: boolean;
                        /** @description Also extracts everything on the worker’s own disk, one service at a time, and compares it; includes deep_verification */
                        test_restore?: boolean;
                        /** @description Only these; the backup as a whole then does not count as verified */
                        components?: string[];
                        /** @description Check the copy at this destination; left out, the backup’s own */
                        destination_id?: string;
                    } | null;
                };
            };
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            message: string;
                            data: {
                                /** @description UUID */
                                backupId: string;
                                isValid: boolean | null;
                                filePath: string | null;
                                fileSize: number;
                                /** @description UUID */
                                verifyJobId: string;
                                issues: string[];
                            };
                        };
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a job: state, progress, steps */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    /** @description UUID */
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Done */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            /** @enum {boolean} */
                            success: true;
                            data: {
                                /** @description UUID */
                                id: string;
                                /** @enum {unknown} */
                                kind: "backup" | "artifact" | "verify" | "restore" | "rollback" | "preview" | "delete" | "sweep" | "server-test" | "destination-test" | "reseal" | "rewrap" | "survey" | "copy";
                                /** @enum {unknown} */
                                state: "queued" | "running" | "completed" | "partial" | "failed" | "cancelled";
                                pool: string;
                                /** @description Project id */
                                project_id: number;
                                /** @description UUID */
                                backup_id: string | null;
                                /** @description UUID */
                                parent_id: string | null;
                                request_id: string;
                                /** @description How many times a worker has begun it */
                                attempt: number;
                                worker: string | null;
                                progress: {
                                    phase: string;
                                    percent: number;
                                    bytes_done: number;
                                    bytes_total: number | null;
                                    files_done: number;
                                    files_total: number | null;
                                    /** @description The path in hand */
                                    current: string | null;
                                    bytes_per_second: number | null;
                                    seconds_left: number | null;
                                };
                                steps: {
                                    /** @description UUID */
                                    job_id: string;
                                    attempt: number;
                                    number: number;
                                    name: string;
                                    /**
                                     * @description `interrupted`: whoever had it in hand could not end it
                                     * @enum {unknown}
                                     */
                                    status: "running" | "completed" | "failed" | "skipped" | "interrupted";
                                    message: string;
                                    /** @description UTC, ISO 8601 */
                                    started_at: string;
                                    /** @description UTC, ISO 8601 */
                                    ended_at: string | null;
                                    duration_ms: number | null;
                                }[];
                                /** @description By kind of job */
                                result: {
                                    [key: string]: unknown;
                                } | null;
                                failure: {
                                    code: string;
                                    message: string;
                                } | null;
                                /** @description UTC, ISO 8601 */
                                cancel_requested_at: string | null;
                                /** @description UTC, ISO 8601 */
                                created_at: string;
                                /** @description UTC, ISO 8601 */
                                started_at: string | null;
                                /** @description UTC, ISO 8601 */
                                ended_at: string | null;
                            };
                        };
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        Error: {
            /** @enum {boolean} */
            success: false;
            /** @enum {unknown} */
            code: "BACKUP_NOT_FOUND" | "BACKUP_IN_PROGRESS" | "BACKUP_INCOMPLETE" | "BACKUP_CORRUPTED" | "BACKUP_VERIFICATION_FAILED" | "COMPONENT_NOT_FOUND" | "ENCRYPTION_KEY_NOT_FOUND" | "INSUFFICIENT_PERMISSIONS" | "INSUFFICIENT_STORAGE" | "INVALID_BACKUP_TYPE" | "RESTORE_FAILED" | "RESTORE_IN_PROGRESS" | "RETENTION_POLICY_VIOLATION" | "STORAGE_FULL" | "VALIDATION_FAILED" | "MALFORMED_BODY" | "BODY_TOO_LARGE" | "UNSUPPORTED_MEDIA_TYPE" | "NOT_SUPPORTED" | "NOT_FOUND" | "CONFLICT" | "UNAUTHENTICATED" | "INVALID_CREDENTIALS" | "ORIGIN_REFUSED" | "RATE_LIMITED" | "RANGE_NOT_SATISFIABLE" | "IDEMPOTENCY_KEY_REUSED" | "IDEMPOTENCY_KEY_IN_USE" | "CREDENTIALS_REQUIRED" | "DESTINATION_IN_USE" | "NOTHING_TO_BACK_UP" | "LOCAL_NOT_ALLOWED" | "POOL_NOT_FOUND" | "JOB_FINISHED" | "UNAVAILABLE" | "INTERNAL" | "SERVER_UNREACHABLE" | "SERVER_AUTH_FAILED" | "HOST_KEY_NOT_PINNED" | "HOST_KEY_CHANGED" | "BECOME_FAILED" | "CONNECTION_LOST" | "TOOL_MISSING" | "COMMAND_FAILED" | "PATH_NOT_FOUND" | "PATH_REFUSED" | "PORT_UNREACHABLE" | "SERVICE_NOT_FOUND" | "SERVICE_STATE_UNKNOWN" | "SERVICE_STOP_FAILED" | "SERVICE_START_FAILED" | "DESTINATION_UNREACHABLE" | "DESTINATION_AUTH_FAILED" | "DESTINATION_NOT_FOUND" | "DESTINATION_READ_ONLY" | "OBJECT_NOT_FOUND" | "OBJECT_EXISTS" | "STORAGE_FAILED" | "COPY_FAILED" | "ARCHIVE_MALFORMED" | "PLAN_INVALID" | "PLAN_EXPIRED" | "PLAN_VERSION_UNKNOWN" | "SEAL_INVALID" | "CANCELLED" | "ATTEMPT_SUPERSEDED" | "WORKER_STOPPING" | "WORKER_LOST";
            /** @description Reason phrase of the HTTP status */
            error: string;
            /** @description What is wrong and what to do about it */
            message: string;
            /** @description Facts; of bad input a list of {path, message} */
            details?: unknown;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
